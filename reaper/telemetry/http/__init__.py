"""The health listener: parsing requests, encoding responses, serving them within bounds."""
