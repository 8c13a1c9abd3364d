"""The rank table of an Ascend server: which devices a job may use. MindSpore 2.10 starts no job from it any more.

{"version": "1.0", "server_count": "1", "status": "completed", "server_list": [{"server_id": "10.0.0.1", "device":
[{"device_id": "0", "device_ip": "192.1.27.6", "rank_id": "0"}, ...]}, ...]}
"""

import json
from pathlib import Path

from src.core.errors import UserError


def read_rank_table(path):
    """Device ids of each server, in the order of their ranks: list[list[int]].

    Raises:
        UserError: missing, or not a rank table.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"RANK_TABLE_FILE {path}: {error.strerror or error}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"RANK_TABLE_FILE {path}: not valid JSON ({error})") from None
    try:
        status = table.get("status", "completed")
        servers = [[(int(device["rank_id"]), int(device["device_id"])) for device in server["device"]]
                   for server in table["server_list"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"RANK_TABLE_FILE {path}: not a rank table: server_list[].device[] with device_id and rank_id "
                        f"is expected ({type(error).__name__}: {error})") from None
    if status != "completed":
        raise UserError(f"RANK_TABLE_FILE {path}: its status is {status!r}, not completed")
    ranks = sorted(rank for server in servers for rank, _ in server)
    if not ranks or ranks != list(range(len(ranks))):
        raise UserError(f"RANK_TABLE_FILE {path}: the ranks of its devices are {ranks}, not 0, 1, 2, ...")
    ids = [[device for _, device in sorted(server)] for server in servers]
    if any(len(set(server)) != len(server) or min(server, default=0) < 0 for server in ids):
        raise UserError(f"RANK_TABLE_FILE {path}: a server has a device twice, or with a negative id: {ids}")
    return ids
