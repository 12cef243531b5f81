/** Records as they were written, of every collection that the AppView hands out. */
import type { ComAtprotoRepoGetRecord } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RecordBody, StoredRecord } from '../oracle/record-writer.ts';
import type { FeatureStage } from './feature-stage.ts';

type Answer = ComAtprotoRepoGetRecord.OutputSchema;

const method = 'com.atproto.repo.getRecord';

/** Declares the tests of records, of which eli writes one for each collection. */
export function recordTests(stage: FeatureStage): void {
  describe('records', () => {
    const written = new Map<string, StoredRecord>();
    const paramsOf = ({ uri }: StoredRecord): { repo: string; collection: string; rkey: string } => {
      const [, , repo, collection, rkey] = uri.split('/');
      return { repo: repo!, collection: collection!, rkey: rkey! };
    };

    beforeAll(async () => {
      const { writer, write, did } = stage;
      const put = async (collection: string, body: RecordBody, rkey?: string): Promise<StoredRecord> => {
        const record = await write('eli', collection, body, rkey);
        written.set(collection, record);
        return record;
      };
      const post = await put('app.bsky.feed.post', { text: 'one of each' });
      await put('app.bsky.feed.repost', { subject: post });
      await put('app.bsky.feed.like', { subject: post });
      await put('app.bsky.feed.threadgate', { post: post.uri, allow: [] }, paramsOf(post).rkey);
      await put('app.bsky.feed.postgate', { post: post.uri }, paramsOf(post).rkey);
      await put('app.bsky.feed.generator', { did: did('eli'), displayName: 'Each' });
      const purpose = 'app.bsky.graph.defs#referencelist';
      const list = await put('app.bsky.graph.list', { name: 'each', purpose });
      await put('app.bsky.graph.listitem', { list: list.uri, subject: did('dee') });
      await put('app.bsky.graph.starterpack', { name: 'Each', list: list.uri });
      await put('app.bsky.graph.follow', { subject: did('dee') });
      await put('app.bsky.graph.block', { subject: did('dee') });
      await put('app.bsky.labeler.service', { policies: { labelValues: ['each'] } }, 'self');
      await put('app.bsky.actor.status', { status: 'app.bsky.actor.status#live' }, 'self');
      await put('app.bsky.notification.declaration', { allowSubscriptions: 'none' }, 'self');
      await put('chat.bsky.actor.declaration', { allowIncoming: 'all' }, 'self');
      await put('com.germnetwork.declaration', { version: '1.0.0', currentKey: { $bytes: 'aGVsbG8' } }, 'self');
      await writer.settle();
    });

    it('are what their repo holds, asked for by DID or handle', async () => {
      const { reader, writer, did, handle } = stage;
      for (const [collection, record] of written) {
        const params = paramsOf(record);
        const { data } = await writer.agent.com.atproto.repo.getRecord(params);
        expect(await reader.query<Answer>(method, params), collection).toEqual(data);
        const byHandle = await reader.query<Answer>(method, { ...params, repo: handle('eli') });
        expect(byHandle, collection).toMatchObject({ uri: record.uri, cid: record.cid });
      }
      const profile = { repo: did('eli'), collection: 'app.bsky.actor.profile', rkey: 'self' };
      expect(await reader.query<Answer>(method, profile)).toMatchObject({ value: { displayName: 'the eli' } });
    });

    it('show on the profile what they allow', async () => {
      const { reader, did } = stage;
      expect(await reader.query('app.bsky.actor.getProfile', { actor: did('eli') })).toMatchObject({
        associated: {
          labeler: true,
          chat: { allowIncoming: 'all' },
          activitySubscription: { allowSubscriptions: 'none' },
        },
      });
    });

    it('are not found in another version, nor once they are deleted', async () => {
      const { reader, writer } = stage;
      const cid = written.get('app.bsky.feed.like')!.cid;
      const other = { ...paramsOf(written.get('app.bsky.feed.post')!), cid };
      expect(await reader.refusal(method, other)).toBe('RecordNotFound');
      for (const { uri } of written.values()) await writer.delete(uri);
      await writer.settle();
      for (const [collection, record] of written) {
        expect(await reader.refusal(method, paramsOf(record)), collection).toBe('RecordNotFound');
      }
    });
  });

  describe('the health of the AppView', () => {
    it('is that of its data plane', async () => {
      const answer = await fetch(`${stage.appView.url}/xrpc/_health`);
      expect(answer.status).toBe(200);
    });
  });
}
