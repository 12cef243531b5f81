/** Rows of PostgreSQL's binary COPY format, and records back from their JSON. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidOfBlock } from '../../../src/atproto/cid.ts';
import { decodeDagCbor } from '../../../src/atproto/dag-cbor.ts';
import { dagJson } from '../../../src/atproto/dag-value.ts';
import { type CopyRow, copyRows } from '../../../src/migrate/copy-rows.ts';
import { blockOfJson } from '../../../src/migrate/json-block.ts';
import { encodeDagCbor } from '../../support/dag-cbor.ts';

const head = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const end = Buffer.from([255, 255]);

function int(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

function rowBytes(columns: readonly (string | null)[]): Buffer {
  const cells = columns.flatMap((column) =>
    column === null ? [int(-1, 4)] : [int(Buffer.byteLength(column), 4), Buffer.from(column)],
  );
  return Buffer.concat([int(columns.length, 2), ...cells]);
}

async function readAll(chunks: readonly Buffer[]): Promise<(string | null)[][]> {
  const rows: CopyRow[] = [];
  for await (const some of copyRows(
    (async function* () {
      yield* chunks;
    })(),
  ))
    rows.push(...some);
  return rows.map((row) => row.map((cell) => cell?.toString() ?? null));
}

describe('rows of a COPY', () => {
  it('are the same however the bytes are cut', async () => {
    const anyRows = fc.array(fc.array(fc.option(fc.string({ unit: 'grapheme' })), { maxLength: 4 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(anyRows, fc.integer({ min: 1, max: 40 }), async (rows, step) => {
        const bytes = Buffer.concat([head, ...rows.map(rowBytes), end]);
        const chunks = Array.from({ length: Math.ceil(bytes.length / step) }, (_unused, index) =>
          bytes.subarray(index * step, (index + 1) * step),
        );
        expect(await readAll(chunks)).toEqual(rows);
      }),
    );
  });

  it('that end early, or are none, are refused', async () => {
    const bytes = Buffer.concat([head, rowBytes(['a', null])]);
    await expect(readAll([bytes])).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(readAll([])).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(readAll([Buffer.alloc(64)])).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('a record from its JSON', () => {
  it('is the block that the protocol encodes, whatever the order of keys', () => {
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constant(null),
        fc.boolean(),
        fc.maxSafeInteger(),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), tie('value'), { maxKeys: 5 }),
        fc.uint8Array({ maxLength: 5 }).map((bytes) => ({ $bytes: Buffer.from(bytes).toString('base64') })),
        fc.uint8Array().map((bytes) => ({ $link: cidOfBlock(Buffer.from(bytes), 0x55).text })),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }), value, { maxKeys: 6 }), (record) => {
        const json = JSON.stringify(record);
        const first = blockOfJson(json, '');
        expect(first).toEqual({ ok: false, reason: 'cid-differs' });
        // The library agrees on the bytes, and our decoder reads the same record from them.
        const keys = Object.keys(record);
        if (keys.includes('$link') || keys.includes('$bytes') || keys.includes('__proto__')) return;
        const plain = JSON.parse(json) as Parameters<typeof encodeDagCbor>[0];
        if (json.includes('$link') || json.includes('$bytes') || json.includes('__proto__')) return;
        const block = encodeDagCbor(plain);
        const made = blockOfJson(json, cidOfBlock(block).text);
        expect(made).toMatchObject({ ok: true, block });
        const read = decodeDagCbor(block);
        if (read.ok) expect(JSON.parse(dagJson(read.value))).toEqual(JSON.parse(json));
      }),
    );
  });
});
