# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that asks an object store."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the bucket is, and who asks."""

    DOCUMENTATION = r"""
options:
  endpoint:
    description: Name or address of the S3 service, as its certificate has it.
    type: str
    required: true
  port:
    description: TCP port of the S3 service. It is always asked over TLS.
    type: int
    default: 443
  region:
    description: Region of the bucket, in the words of the S3 service.
    type: str
    default: us-east-1
  uri_style:
    description: How the bucket is named in a request.
    type: str
    choices: [path, host]
    default: path
  ca_file:
    description:
      - Authority that signed the service's certificate, a file on the host where this runs.
      - By default those that boto3 trusts.
    type: path
  bucket:
    description: The bucket.
    type: str
    required: true
  path:
    description: The repository's folder within the bucket.
    type: str
    default: /pgbackrest
  access_key:
    description: Key of whoever owns the bucket, or may look at all of it.
    type: str
    required: true
  secret_key:
    description: Secret of that key.
    type: str
    required: true
  timeout:
    description: Seconds that each answer of the service may take.
    type: float
    default: 30.0
requirements:
  - boto3
notes:
  - Runs where boto3 is (C(python3-boto3) in Debian). That is the control node as a rule, so that the owner's key never
    lies on a host that could be broken into.
"""
