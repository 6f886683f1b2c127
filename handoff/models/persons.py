"""Accounts of one natural person, as administrators keep them."""

from audit.models import Account


class MergedAccount(Account):
    """An account that counts as its person's main account."""

    class Meta:
        proxy = True
        verbose_name = "merged account"
        verbose_name_plural = "merged accounts"


class FormerPerson(Account):
    """An account of somebody who has left and whose name has gone."""

    class Meta:
        proxy = True
        verbose_name = "former person"
        verbose_name_plural = "former people"


class Leaver(Account):
    """The main account of somebody who has left and whose name has not gone yet."""

    class Meta:
        proxy = True
        verbose_name = "person who left"
        verbose_name_plural = "people who left"
