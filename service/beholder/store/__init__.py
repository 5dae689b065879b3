"""Where opinions are kept: a file, or a server that replicas share; knows nothing of what is learned from them."""
