"""One person's opinion: what they said of images, what is learned from it, and where it is kept."""
