"""Accounts of one natural person, as administrators keep them."""

from audit.models import Account


class MergedAccount(Account):
    """An account that counts as its person's main account."""

    class Meta:
        proxy = True
        verbose_name = "merged account"
        verbose_name_plural = "merged accounts"
