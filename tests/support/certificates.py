"""Certificates for a server on 127.0.0.1, signed by themselves; the key is for nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path

_KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIJqsKtFATDp7TUhKEfHXIWxurOkHSGSMyrJZESmIGYDsoAoGCCqGSM49
AwEHoUQDQgAEwFFSEvqtCBJ3n+O+0sVLsPIjscCTnx1tS4kGU8oaaHaxEqy5xhfP
tfFZVYHA8wtPeM+lHeRJFBxuLm/12klj0g==
-----END EC PRIVATE KEY-----
"""
CERTIFICATES = {
    "of 127.0.0.1": """\
-----BEGIN CERTIFICATE-----
MIIBTjCB9aADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwIBcN
MDAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMA8xDTALBgNVBAMMBHRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATAUVIS+q0IEnef477SxUuw8iOxwJOf
HW1LiQZTyhpodrESrLnGF8+18VlVgcDzC094z6Ud5EkUHG4ub/XaSWPSo0AwPjAP
BgNVHREECDAGhwR/AAABMAwGA1UdEwQFMAMBAf8wHQYDVR0OBBYEFAsCc56iYJ9K
E1NSn+EGMrBJRgjCMAoGCCqGSM49BAMCA0gAMEUCIQC7txYEwzXT8bB9pCqeBSF2
d9W6Paf79WTNqOcJ7GKWwgIgd+d/Yc9kZ4oat6R0kYMHLtrMHlTkzP/MIbfkdIC2
i3s=
-----END CERTIFICATE-----
""",
    "expired in 2001": """\
-----BEGIN CERTIFICATE-----
MIIBTDCB86ADAgECAgECMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBHRlc3QwHhcN
MDAwMTAxMDAwMDAwWhcNMDEwMTAxMDAwMDAwWjAPMQ0wCwYDVQQDDAR0ZXN0MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwFFSEvqtCBJ3n+O+0sVLsPIjscCTnx1t
S4kGU8oaaHaxEqy5xhfPtfFZVYHA8wtPeM+lHeRJFBxuLm/12klj0qNAMD4wDwYD
VR0RBAgwBocEfwAAATAMBgNVHRMEBTADAQH/MB0GA1UdDgQWBBQLAnOeomCfShNT
Up/hBjKwSUYIwjAKBggqhkjOPQQDAgNIADBFAiEAsmKNsXa7fURVypTAef6wwyjv
PIMDwC8obOl7kn9r0qACIA7Dkf3M1fADT0FuRkT6Ju9ImwohZkVzoZRJ+4P/izeW
-----END CERTIFICATE-----
""",
    "of elsewhere.example": """\
-----BEGIN CERTIFICATE-----
MIIBWzCCAQKgAwIBAgIBAzAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDAR0ZXN0MCAX
DTAwMDEwMTAwMDAwMFoYDzk5OTkxMjMxMjM1OTU5WjAPMQ0wCwYDVQQDDAR0ZXN0
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwFFSEvqtCBJ3n+O+0sVLsPIjscCT
nx1tS4kGU8oaaHaxEqy5xhfPtfFZVYHA8wtPeM+lHeRJFBxuLm/12klj0qNNMEsw
HAYDVR0RBBUwE4IRZWxzZXdoZXJlLmV4YW1wbGUwDAYDVR0TBAUwAwEB/zAdBgNV
HQ4EFgQUCwJznqJgn0oTU1Kf4QYysElGCMIwCgYIKoZIzj0EAwIDRwAwRAIgFz8x
h8wopg0/Nn3/xf38nGzQjRcnkqF9vwa5ouxBflkCIHvmy5Qcuje5EswU19dkYhta
gcJzQm7UdSTuhwjn2rvv
-----END CERTIFICATE-----
""",
}


def serving(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server that shows this certificate needs, and the certificate's file."""
    file = folder / "certificate.pem"
    file.write_text(CERTIFICATES[name] + _KEY, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file
