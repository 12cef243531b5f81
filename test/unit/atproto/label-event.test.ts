/** Messages of labels: what of them counts, and which bytes their labelers sign. */
import { expect, it } from 'vitest';
import { ByteString, type DagMap } from '../../../src/atproto/dag-value.ts';
import { decodeLabelMessage, isLabelSignedBy, type SignedLabel } from '../../../src/atproto/label-event.ts';
import { parseSigningKey } from '../../../src/atproto/signing-key.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';
import { labelsFrame, newKey, signedLabel } from '../../support/scripted-labeler.ts';
import { frameOf } from './signed-repo.ts';

const fields: DagMap = {
  ver: 1,
  src: 'did:web:labeler.example',
  uri: 'at://did:web:a.example/app.bsky.feed.post/3k2aaaaaaaa2a',
  cid: 'bafyreia6d3cmhfrxyyztkdaubslm2yuhxkzxvcl3nkhydrwiwpxjkjqjzm',
  val: '!hide',
  neg: false,
  cts: '2025-01-31T12:00:00.000Z',
  exp: '2030-01-31T12:00:00+01:00',
};

function labelsOf(frame: Buffer): readonly SignedLabel[] {
  const read = decodeLabelMessage(frame);
  if (!read.ok || read.value.kind !== 'labels') throw new Error('no labels');
  expect(read.value.faults).toEqual([]);
  return read.value.labels;
}

it.each(['k256', 'p256'] as const)('a label that the protocol signs with a %s key is proven by it', async (curve) => {
  const [key, other] = await Promise.all([newKey(curve), newKey(curve)]);
  const [label] = labelsOf(labelsFrame(1, [await signedLabel(key, fields)]));
  const keyOf = (pair: typeof key) => parseSigningKey(pair.did().slice('did:key:'.length))!;
  expect(label!.signedBytes).toEqual(encodeDagCbor(fields));
  expect(await isLabelSignedBy(keyOf(key), label!)).toBe(true);
  expect(await isLabelSignedBy(keyOf(other), label!)).toBe(false);
  const cut = { ...label!, signature: label!.signature.subarray(1) };
  expect(await isLabelSignedBy(keyOf(key), cut)).toBe(false);
});

it('what is signed is canonical, whatever the order in which fields come, and without a $type', async () => {
  const key = await newKey();
  const signed = await signedLabel(key, fields);
  const text = (value: string): Buffer => encodeDagCbor(value);
  const entries = [...Object.entries(signed), ['$type', 'com.atproto.label.defs#label'] as const].toReversed();
  const label = Buffer.concat([
    Buffer.of(0xa0 | entries.length),
    ...entries.flatMap(([name, value]) => [text(name), encodeDagCbor(value)]),
  ]);
  const body = Buffer.concat([Buffer.of(0xa2), text('seq'), encodeDagCbor(7), text('labels'), Buffer.of(0x81), label]);
  const [read] = labelsOf(Buffer.concat([encodeDagCbor({ op: 1, t: '#labels' }), body]));
  expect(read!.signedBytes).toEqual(encodeDagCbor(fields));
});

it('labels that do not count leave the others of their message', () => {
  const sig = new ByteString(Buffer.alloc(64));
  const bad: DagMap[] = [
    { ...fields },
    { ...fields, sig, neg: 'yes' },
    { ...fields, sig, src: 'alice.test' },
    { ...fields, sig, uri: 'https://a.example' },
    { ...fields, sig, uri: 'at://did:web:a.example' },
    { ...fields, sig, cid: 'x' },
    { ...fields, sig, val: '' },
    { ...fields, sig, cts: '2025-01-31' },
    { ...fields, sig, exp: 1 },
    { ...fields, sig, more: { a: 1 } },
  ];
  const read = decodeLabelMessage(labelsFrame(3, [...bad, { ...fields, sig }]));
  expect(read).toMatchObject({ ok: true, value: { kind: 'labels', seq: 3, labels: [{ label: { val: '!hide' } }] } });
  expect(read.ok && read.value.kind === 'labels' ? read.value.faults : []).toEqual([
    'label-unsigned',
    'label-malformed',
    'label-src-bad',
    'label-subject-bad',
    'label-subject-bad',
    'label-cid-bad',
    'label-value-bad',
    'label-time-bad',
    'label-time-bad',
    'label-malformed',
  ]);
});

it('messages that are none are refused by reason, and their seq is passed', () => {
  expect(decodeLabelMessage(frameOf({ op: 1, t: '#labels' }, { seq: 4 }))).toEqual({
    ok: false,
    reason: 'field-bad',
    seq: 4,
  });
  expect(decodeLabelMessage(frameOf({ op: 1, t: '#other' }, { seq: 5 }))).toMatchObject({
    ok: true,
    value: { kind: 'unknown', seq: 5 },
  });
  expect(decodeLabelMessage(frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor' }))).toMatchObject({
    value: { kind: 'info', name: 'OutdatedCursor' },
  });
});
