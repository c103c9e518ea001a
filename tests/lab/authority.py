"""A certificate authority of openssl's, for what people and the lab's other servers trust: portal, etcd, libvirt."""

import ipaddress
import os
import subprocess

from network import write

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def kind_of(address):
    try:
        ipaddress.ip_address(address)
        return "IP:"
    except ValueError:
        return "DNS:"


class Authority:
    """Its files lie in `folder`: ca.pem, and NAME.pem and NAME.key of those it issued."""

    def __init__(self, folder, name):
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        extensions = "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:true\n" \
                     "keyUsage=critical,keyCertSign,cRLSign\n"
        self._openssl("req", "-x509", *NEW_KEY, "-out", self.path("ca.pem"), "-keyout", self.path("ca.key"), "-days", "30",
                      "-subj", f"/CN={name}", "-config", write(self.path("ca.cnf"), extensions))

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, *addresses):
        """One certificate for both ends of a connection; gives the paths of it and of its key. An address is numeric, or
        a name."""
        extensions = write(self.path(f"{name}.ext"), "subjectAltName=" + ",".join(kind_of(one) + one for one in addresses) +
                           "\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
        request, certificate, key = (self.path(f"{name}.{kind}") for kind in ("csr", "pem", "key"))
        self._openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                      "-config", write(self.path("request.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n"))
        self._openssl("x509", "-req", "-in", request, "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"),
                      "-CAcreateserial", "-days", "30", "-out", certificate, "-extfile", extensions)
        return certificate, key

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)
