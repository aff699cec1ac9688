"""Images: from a reference in a message to a decoded image in memory."""
