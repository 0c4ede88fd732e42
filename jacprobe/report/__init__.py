"""Views of the ledger: Allure results, figures, pages."""
