/** A privacy request goes through ingest where there is one, and is refused where it cannot. */
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { decodeEntry } from '../../../src/entry/entry-codec.ts';
import type { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { type EraseAtIngest, privateRoutes } from '../../../src/router/private-routes.ts';

const did = `did:plc:${'a'.repeat(24)}`;

function newRouter() {
  const written: unknown[] = [];
  let wroteCount = 0;
  const ask = async (_node: number, _method: string, payload: Uint8Array): Promise<Uint8Array> => {
    written.push(decodeEntry(payload));
    return Buffer.alloc(0);
  };
  const parts = { fanOut: { nodeBySlot: [0], map: { slots: 1 }, ask }, wrote: () => wroteCount++ };
  return { router: parts as unknown as ServiceRouter, written, wroteCount: () => wroteCount };
}

function eraseBy(router: ServiceRouter, eraseAtIngest?: EraseAtIngest) {
  const route = privateRoutes(router, systemClock, eraseAtIngest).find(({ verb }) => verb === 'post')!;
  return async (body: object) => route.answer(body, new URLSearchParams());
}

it('has ingest erase, and writes nothing of its own', async () => {
  const { router, written, wroteCount } = newRouter();
  const asked: object[] = [];
  const erase = eraseBy(router, async (body) => {
    asked.push(body);
    return { ...body, upTo: 5 };
  });
  expect(await erase({ did, kind: 'mutes' })).toEqual({ did, kind: 'mutes', upTo: 5 });
  expect(asked).toEqual([{ did, kind: 'mutes' }]);
  expect(written).toEqual([]);
  // Reads through this router see it afterwards.
  expect(wroteCount()).toBe(1);
  await expect(erase({ did: 'nobody', kind: 'mutes' })).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(asked).toHaveLength(1);
});

it('erases nothing while ingest does not answer: it would come back', async () => {
  const { router, written } = newRouter();
  const erase = eraseBy(router, () => Promise.reject(new DataPlaneError('Unavailable', 'ingest does not answer')));
  await expect(erase({ did, kind: 'drafts' })).rejects.toMatchObject({ code: 'Unavailable' });
  expect(written).toEqual([]);
});

it('writes to the slot itself where it knows no ingest, and says that nothing keeps it so', async () => {
  const { router, written } = newRouter();
  expect(await eraseBy(router)({ did, kind: 'drafts' })).toEqual({ did, kind: 'drafts', upTo: null });
  expect(written).toEqual([{ kind: 'private', did, write: { type: 'erase', kind: 'drafts' } }]);
});
