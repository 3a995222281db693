"""The HTTP transport: connections, HTTP/1.1 and HTTP/2. It knows nothing of sessions."""
