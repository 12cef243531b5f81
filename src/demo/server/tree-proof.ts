/** Finds the tree nodes by which the ops of a commit can be proven and undone without the repo. */
import type { MST, NodeEntry } from '@atproto/repo';

/** Adds the nodes along one edge of a tree, to the neighbour of a key. */
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
 * The library's walk serializes each node that it passes, per op and direction. Here the nodes of a
 * commit are collected first, which makes signing many ops together fast.
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
