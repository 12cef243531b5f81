/** What the page knows of the cluster from the messages that came. */
import type { ClusterRows, NodeRow, SlotRow } from '../cluster-rows.ts';

/** With the slots that came last. */
export type NodeState = NodeRow & { readonly slots: readonly SlotRow[] };
export type ClusterState = Omit<ClusterRows, 'nodes'> & { readonly nodes: readonly NodeState[] };
