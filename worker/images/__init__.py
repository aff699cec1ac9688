"""Images: from a reference in a message to a decoded picture in memory."""
