"""HTTP/2 (RFC 9113) for this client: frames, HPACK and one multiplexed connection."""
