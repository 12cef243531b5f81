/** Finds the tree nodes that a commit must carry, so that each of its ops can be proven and undone without the repo. */
import type { MST, NodeEntry } from '@atproto/repo';

/** Adds the nodes along one edge of a tree: where the key next to its neighbour lies. */
async function addEdge(tree: MST, side: 'first' | 'last', nodes: Set<MST>): Promise<void> {
  for (let node: MST | null = tree; node !== null; ) {
    nodes.add(node);
    const entries: NodeEntry[] = await node.getEntries();
    const entry: NodeEntry | undefined = side === 'first' ? entries[0] : entries[entries.length - 1];
    node = entry?.isTree() ? entry : null;
  }
}

/**
 * Adds the nodes that prove a key's value or absence, with the keys to its left and right.
 *
 * The library's own walk serializes each node it passes, once for each op and direction; all nodes of a commit are
 * collected here first, since signing many ops together is what makes the first records quick.
 */
export async function addProofNodes(tree: MST, key: string, nodes: Set<MST>): Promise<void> {
  for (let node: MST | null = tree; node !== null; ) {
    nodes.add(node);
    const entries: NodeEntry[] = await node.getEntries();
    const found = entries.findIndex((entry) => entry.isLeaf() && entry.key >= key);
    const index: number = found < 0 ? entries.length : found;
    const at = entries[index];
    const before: NodeEntry | undefined = entries[index - 1];
    if (at?.isLeaf() && at.key === key) {
      const after = entries[index + 1];
      if (before?.isTree()) await addEdge(before, 'last', nodes);
      if (after?.isTree()) await addEdge(after, 'first', nodes);
      return;
    }
    node = before?.isTree() ? before : null;
  }
}
