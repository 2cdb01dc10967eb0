"""The compute of a run whose stage is on DBFS, which serverless does not read, where the settings name none."""

from __future__ import annotations

from typing import Any

from lakehouse.errors import ConvertError
from lakehouse.workspace.identity import Identity

CORES, MEMORY_GB = 4, 14  # at least; databricks-sdk takes the smallest machine that the workspace's cloud has with these
NAME_IT = (
    "set DATABRICKS_CLUSTER_ID or LAKEHOUSE_NEW_CLUSTER, or a LAKEHOUSE_STAGE in a volume (/Volumes/catalog/schema/volume/…)"
)


def small_cluster(identity: Identity) -> dict[str, Any]:
    """A job cluster of one machine, with the newest runtime of long-term support, as databricks-sdk chooses them.

    https://docs.databricks.com/api/workspace/clusters/sparkversions, …/listnodetypes. Raises ConvertError where the workspace
    tells of none.
    """
    from databricks.sdk import WorkspaceClient  # late: 2.4 CPU s and 100 MB
    from databricks.sdk.errors.base import DatabricksError

    try:
        clusters = WorkspaceClient(config=identity.sdk_config()).clusters
        version = clusters.select_spark_version(long_term_support=True)
        node = clusters.select_node_type(min_cores=CORES, min_memory_gb=MEMORY_GB, min_gpus=0, local_disk=True)
    except (DatabricksError, OSError, ValueError) as error:
        raise ConvertError(
            f"no cluster is named, and none could be chosen: {error}", safe="Nothing was changed", action=NAME_IT
        ) from None
    return {
        "spark_version": version,
        "node_type_id": node,
        "num_workers": 0,
        "data_security_mode": "SINGLE_USER",
        "spark_conf": {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"},
        "custom_tags": {"ResourceClass": "SingleNode"},
    }
