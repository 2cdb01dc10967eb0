"""Clusters API 2.1, as far as choosing a job cluster goes: https://docs.databricks.com/api/workspace/clusters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.workspace.errors import answer, invalid

VERSIONS = {
    "17.3.x-scala2.13": "17.3 LTS (includes Apache Spark 4.0.0, Scala 2.13)",
    "16.4.x-scala2.12": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)",
    "16.4.x-photon-scala2.12": "16.4 LTS Photon (includes Apache Spark 3.5.2, Scala 2.12)",
    "16.4.x-cpu-ml-scala2.12": "16.4 LTS ML (includes Apache Spark 3.5.2, Scala 2.12)",
    "16.3.x-scala2.12": "16.3 (includes Apache Spark 3.5.2, Scala 2.12)",
    "15.4.x-scala2.12": "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
}
NODES = [("Standard_F4", 4, 8, 0, False), ("Standard_D4ds_v5", 4, 16, 0, False), ("Standard_D3_v2", 4, 14, 0, True),
         ("Standard_D8ds_v5", 8, 32, 0, False), ("Standard_NC4as_T4_v3", 4, 14, 1, False)]  # fmt: skip


def routes(clusters: tuple[str, ...]) -> list[Route]:
    """Which runtimes and machines there are, and the clusters that stay."""

    async def get(request: Request) -> Response:
        wanted = request.query_params.get("cluster_id", "")
        if wanted not in clusters:
            raise invalid(f"Cluster {wanted} does not exist")
        return answer({"cluster_id": wanted, "cluster_name": "sandbox", "spark_version": "16.4.x-scala2.12", "state": "RUNNING"})

    return [
        Route("/api/2.1/clusters/get", get),
        Route("/api/2.1/clusters/spark-versions", _versions),
        Route("/api/2.1/clusters/list-node-types", _node_types),
    ]


async def _versions(_: Request) -> Response:
    return answer({"versions": [{"key": key, "name": name} for key, name in VERSIONS.items()]})


async def _node_types(_: Request) -> Response:
    found = []
    for name, cores, memory_gb, gpus, is_deprecated in NODES:
        disks = {"local_disks": 1, "local_disk_size_gb": 150, "local_nvme_disks": 0, "local_nvme_disk_size_gb": 0}
        found.append(
            {
                "node_type_id": name, "instance_type_id": name, "num_cores": float(cores), "memory_mb": memory_gb * 1024,
                "num_gpus": gpus, "is_deprecated": is_deprecated, "description": name, "category": "General Purpose",
                "node_instance_type": {"instance_type_id": name, **disks},
            }
        )  # fmt: skip
    return answer({"node_types": found})
