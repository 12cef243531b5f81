/** Continues a social graph from an earlier run: its records can be liked, answered, deleted. */
import { Cid } from '../../atproto/cid.ts';
import { type Collection, nsid } from '../../atproto/collection.ts';
import type { DagMap } from '../../atproto/dag-value.ts';
import { actorFlag } from './demo-actors.ts';
import type { GraphState, RecentPost } from './graph-state.ts';
import type { StrongRef } from './record-shapes.ts';

export type AdoptedRecord = {
  readonly actor: number;
  readonly collection: Collection;
  readonly rkey: string;
  readonly cid: Uint8Array;
  readonly value: DagMap;
};

const flagByCollection: Partial<Record<Collection, number>> = {
  [nsid.profile]: actorFlag.profile,
  [nsid.status]: actorFlag.status,
  [nsid.labeler]: actorFlag.labeler,
  [nsid.notificationDeclaration]: actorFlag.notificationDeclaration,
  [nsid.chatDeclaration]: actorFlag.chatDeclaration,
};

/** Feeds records of an earlier run to a graph, oldest first. */
export class GraphAdoption {
  readonly #graph: GraphState;
  readonly #actorByDid = new Map<string, number>();
  readonly #postByUri = new Map<string, RecentPost>();

  constructor(graph: GraphState) {
    this.#graph = graph;
    for (let actor = 0; actor < graph.actors.count; actor++) this.#actorByDid.set(graph.actors.did(actor), actor);
  }

  adopt(record: AdoptedRecord): void {
    const { actor, collection, rkey, value } = record;
    const flag = flagByCollection[collection];
    if (flag !== undefined) {
      this.#graph.actors.set(actor, flag, true);
      return;
    }
    const uri = `at://${this.#graph.actors.did(actor)}/${collection}/${rkey}`;
    const ref = { uri, cid: new Cid(record.cid).text };
    if (collection === nsid.post) {
      this.#adoptPost(record, ref);
      return;
    }
    if (collection === nsid.list) this.#graph.lists.add({ ...ref, actor });
    else if (collection === nsid.generator) this.#graph.feeds.add(ref);
    else if (!isGateOrPack(collection)) {
      this.#adoptPointer(record, ref);
      this.#graph.records.add({ actor, collection, rkey, value, post: null, isAlive: true });
    }
  }

  #adoptPost(record: AdoptedRecord, ref: StrongRef): void {
    const { actor, rkey, value } = record;
    const reply = value['reply'] as { readonly root: StrongRef; readonly parent: StrongRef } | undefined;
    const parent = reply === undefined ? undefined : this.#postByUri.get(reply.parent.uri);
    const root = reply === undefined ? ref : reply.root;
    const rootActor = this.#actorByDid.get(root.uri.split('/')[2]!) ?? actor;
    const depth = reply === undefined ? 0 : (parent?.depth ?? 0) + 1;
    const post = this.#graph.addPost({ ...ref, actor, rkey, root, rootActor, depth });
    this.#postByUri.set(ref.uri, post);
    this.#graph.records.add({ actor, collection: nsid.post, rkey, value, post, isAlive: true });
  }

  /** Marks what a record points at, so that nobody follows, blocks, likes or reposts it twice. */
  #adoptPointer(record: AdoptedRecord, ref: StrongRef): void {
    const { actor, collection, value } = record;
    const subject = value['subject'];
    if (collection === nsid.follow || collection === nsid.block) {
      const other = this.#actorByDid.get(String(subject));
      if (other !== undefined) this.#graph.subjects.add(actor, other);
    } else if (collection === nsid.like || collection === nsid.repost) {
      const post = this.#postByUri.get((subject as StrongRef).uri);
      if (post === undefined) return;
      const isLike = collection === nsid.like;
      (isLike ? this.#graph.liked : this.#graph.reposted).add(actor, post.number);
      this.#graph.engaged.add(post);
      if (!isLike) this.#graph.reposts.add({ ...ref, post });
    }
  }
}

function isGateOrPack(collection: Collection): boolean {
  return collection === nsid.threadGate || collection === nsid.postGate || collection === nsid.starterPack;
}
