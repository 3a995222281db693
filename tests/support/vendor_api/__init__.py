"""The vendor's API as the vendor documents it: the contract, and a mock of a third party that serves it."""
