"""The second program: claims items from the queue and answers them."""
