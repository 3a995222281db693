"""Sources of session IDs: files, stdin, a spool directory and the API's list. Each adds to the queue."""
