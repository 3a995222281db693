"""How bytes travel: connections, HTTP/1.1 and HTTP/2. Knows nothing of sessions."""
