"""Several processes as one server: fronts that speak gRPC and prepare images, before engines that run graphs."""
