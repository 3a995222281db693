"""Where session IDs come from: files, stdin, a spool directory; each ends in `queue.add`."""
