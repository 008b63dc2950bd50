"""A store that speaks S3, on this machine: moto's server as a process of its own, with a log of what it was asked."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.local_cluster import free_port

KEY, SECRET = "AKIAPLANTED481516", "planted-2342-sesame-store"


class Store:
    """The server, from `with` to its end. `environment` is what its users need to have."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._log = folder / "store.log"
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def __enter__(self) -> "Store":
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while self._server.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return self
            time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"moto's server did not come up: {self._log.read_text()}")

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()

    def client(self, **keys: str) -> Any:
        """boto3's own client, apart from what is tested."""
        import boto3

        names = {"key": "aws_access_key_id", "secret": "aws_secret_access_key"}
        given = {names[key]: value for key, value in ({"key": KEY, "secret": SECRET} | keys).items()}
        endpoint = self.environment["AWS_ENDPOINT_URL"]
        return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **given)

    def put(self, bucket: str, files: Mapping[str, bytes]) -> None:
        """Put these files into a bucket, which is made."""
        client = self.client()
        client.create_bucket(Bucket=bucket)
        for name, data in files.items():
            client.put_object(Bucket=bucket, Key=name, Body=data)

    def names(self, bucket: str) -> list[str]:
        """The names of all that a bucket holds."""
        return [item["Key"] for item in self.client().list_objects_v2(Bucket=bucket).get("Contents", [])]

    def take_nothing(self, bucket: str) -> None:
        """From now on, nobody may write into this bucket."""
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        self.client().put_bucket_policy(Bucket=bucket, Policy=policy)

    def check_keys(self, after: float) -> None:
        """From so many requests on, only keys that the store knows are let in: it knows none. `inf`: all are."""
        url = f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
        asking = urllib.request.Request(url, str(after).encode(), {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(asking).read()

    def asked(self, words: str) -> int:
        """How often the server was asked with these words: `GET /bucket/name`."""
        return self._log.read_text().count(f'"{words}')


def forget() -> None:
    """Forget the clients that s3fs keeps: each holds the environment that it was made in."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def here(store: Store, **variables: str) -> dict[str, str]:
    """This process's environment with the store's laid over it."""
    return os.environ | store.environment | variables
