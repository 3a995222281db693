"""The health listener: parses requests, encodes responses, serves them within limits."""
