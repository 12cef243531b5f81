/** Verification: what a trusted verifier says of others, and what becomes of it. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { noticesOf, profileOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

/** Declares the tests of verification, in which ann verifies ben. */
export function verificationTests(stage: FeatureStage): void {
  describe('verification', () => {
    let verification: StoredRecord | undefined;

    const verify = (by: Name, whom: Name): Promise<StoredRecord> => {
      const body = { subject: stage.did(whom), handle: stage.handle(whom), displayName: `the ${whom}` };
      return stage.write(by, 'app.bsky.graph.verification', body);
    };
    const rename = async (name: Name, displayName: string): Promise<void> => {
      await stage.writer.put(name, 'app.bsky.actor.profile', 'self', { displayName });
      await stage.writer.settle();
    };
    const statusOf = async (name: Name): Promise<unknown> =>
      (await profileOf(stage, name)).verification?.verifiedStatus;

    beforeAll(async () => {
      verification = await verify('ann', 'ben');
      await verify('cat', 'dee');
      await stage.writer.settle();
    });

    it('counts once its issuer is trusted, and shows who that is', async () => {
      const { operator, did, handle } = stage;
      expect((await profileOf(stage, 'ben')).verification).toBeUndefined();
      await operator.trustVerifier(did('ann'), true);
      await stage.writer.settle();
      expect((await profileOf(stage, 'ben')).verification).toMatchObject({
        verifiedStatus: 'valid',
        trustedVerifierStatus: 'none',
        verifications: [
          {
            issuer: did('ann'),
            issuerHandle: handle('ann'),
            issuerDisplayName: 'the ann',
            uri: verification!.uri,
            isValid: true,
          },
        ],
      });
      expect((await profileOf(stage, 'ann')).verification).toMatchObject({
        verifiedStatus: 'none',
        trustedVerifierStatus: 'valid',
      });
      expect((await profileOf(stage, 'dee')).verification).toBeUndefined();
    });

    it('notifies its subject', async () => {
      const notices = await noticesOf(stage, 'ben');
      const notice = notices.find(({ uri }) => uri === verification!.uri);
      expect(notice).toMatchObject({ reason: 'verified', author: { did: stage.did('ann') } });
    });

    it('holds for the names that it saw', async () => {
      await rename('ben', 'someone famous');
      expect(await statusOf('ben')).toBe('invalid');
      await rename('ben', 'the ben');
      expect(await statusOf('ben')).toBe('valid');
    });

    it('ends with its record, of which its subject is notified', async () => {
      await stage.writer.delete(verification!.uri);
      await stage.writer.settle();
      expect((await profileOf(stage, 'ben')).verification).toBeUndefined();
      const [newest] = await noticesOf(stage, 'ben');
      expect(newest).toMatchObject({ reason: 'unverified', uri: verification!.uri });
    });

    it('ends with the trust in its issuer', async () => {
      const { operator, did } = stage;
      await verify('ann', 'ben');
      await stage.writer.settle();
      expect(await statusOf('ben')).toBe('valid');
      await operator.trustVerifier(did('ann'), false);
      await stage.writer.settle();
      expect((await profileOf(stage, 'ben')).verification).toBeUndefined();
      expect((await profileOf(stage, 'ann')).verification).toBeUndefined();
    });
  });
}
