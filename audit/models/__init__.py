"""Tables of the trail and of those who act."""

from audit.models.accounts import Account
from audit.models.events import AuditEvent
from audit.models.keeping import Keeping
from audit.models.keys import SigningKey
from audit.models.name_holds import NameHold, NameNotice
from audit.models.names import PrintedName
from audit.models.personal_keys import PersonalKey
from audit.models.requests import RequestKey
from audit.models.tree import HeadAnchor, TreeHead, TreeLeaf, TreeNode

__all__ = [
    "Account",
    "AuditEvent",
    "HeadAnchor",
    "Keeping",
    "NameHold",
    "NameNotice",
    "PersonalKey",
    "PrintedName",
    "RequestKey",
    "SigningKey",
    "TreeHead",
    "TreeLeaf",
    "TreeNode",
]
