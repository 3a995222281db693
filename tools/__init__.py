"""Programs of this repository: generators of documents and release files. Nothing of it is installed."""
