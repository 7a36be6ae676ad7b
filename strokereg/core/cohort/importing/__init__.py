"""Import the cases of another folder into a cohort: name, transfer, check and describe them."""
