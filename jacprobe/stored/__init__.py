"""Evidence computed elsewhere: arrays and tables of the original analysis, served to the requests that they answer."""
