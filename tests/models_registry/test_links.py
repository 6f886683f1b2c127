"""Links to blobs: they lead to where the bytes are."""

from urllib.parse import urlsplit

from django.urls import resolve, reverse

from models_registry.links import blob_url

SHA = "ab" * 32


def test_a_link_leads_to_the_blob_of_its_name() -> None:
    path = urlsplit(blob_url(SHA, seconds=60)).path
    assert path == reverse("blob", args=[SHA])
    assert resolve(path).kwargs == {"sha256": SHA}
