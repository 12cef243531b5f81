/** Ingest over a scripted network that knows an author, whose signed repo the test holds. */
import type { RecordCreateOp } from '@atproto/repo';
import type { DagMap } from '../../src/atproto/dag-value.ts';
import { authorDid, commitFrame, create, likeRecord, SignedRepo } from '../unit/atproto/signed-repo.ts';
import { IngestHarness } from './ingest-harness.ts';

/** The caller starts and closes the harness. */
export async function authorHarness(initial: RecordCreateOp[] = []): Promise<[IngestHarness, SignedRepo]> {
  const harness = await IngestHarness.create();
  harness.network.register(authorDid, 'author.test');
  return [harness, await SignedRepo.start(authorDid, initial)];
}

/** Commits a like. Returns: the body of its message. */
export function likeBody(repo: SignedRepo, seq: number, rkey = `like-${repo.rev}`): Promise<DagMap> {
  return repo.commit(seq, create('app.bsky.feed.like', rkey, likeRecord()));
}

/** Commits a like and publishes it. Returns: the rev. */
export async function publishLike(
  { network }: IngestHarness,
  repo: SignedRepo,
  seq: number,
  rkey?: string,
): Promise<string> {
  network.publish(seq, commitFrame(await likeBody(repo, seq, rkey)));
  return repo.rev;
}
