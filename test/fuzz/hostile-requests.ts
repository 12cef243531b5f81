/** Requests of bsky.Service by their schema: texts, URIs, limits, times and tokens at the edges. */
import fc from 'fast-check';
import { methodByName } from '../../src/proto/codec.ts';
import { fieldsByMessage, type MessageName } from '../../src/proto/generated/bsky-service.ts';
import { messageFromJson } from '../../src/proto/json.ts';
import { encodePageToken } from '../../src/proto/page-token.ts';
import type { FieldSchema } from '../../src/proto/schema.ts';
import { anyDids, rkeys, uris } from './hostile-records.ts';
import { anyMaps, byteFaults, hostileTexts, withFaults } from './hostile-values.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

/** Page tokens: of any time and rest, of a key alone, and texts that are none. */
export const tokens: fc.Arbitrary<string> = fc.oneof(
  fc.constant(''),
  hostileTexts,
  fc
    .tuple(fc.integer(), fc.uint8Array({ maxLength: 1_200 }))
    .map(([time, rest]) => encodePageToken(time, Buffer.from(rest))),
  fc
    .tuple(fc.constantFrom('0', '-1', '999999999999999', '-999999999999999', '-0', '00'), hostileTexts)
    .map(([time, rest]) => `${time}__${rest}`),
  fc.uint8Array({ maxLength: 1_200 }).map((rest) => Buffer.from(rest).toString('base64url')),
  fc.constantFrom('2025-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z', '0000-01-01T00:00:00Z'),
);

function texts(field: string): fc.Arbitrary<string> {
  if (/cursor/i.test(field)) return tokens;
  if (/uri|subject|list|post/i.test(field))
    return fc.oneof({ weight: 4, arbitrary: uris }, { weight: 1, arbitrary: hostileTexts });
  if (/did|actor|viewer|handle/i.test(field)) {
    return fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...anyDids, 'a.example') },
      { weight: 1, arbitrary: hostileTexts },
    );
  }
  return fc.oneof(hostileTexts, rkeys);
}

function one([, , local, type, , of]: FieldSchema, depth: number): fc.Arbitrary<Json> {
  switch (type) {
    case 'string':
      return texts(local);
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    case 'bool':
      return fc.boolean();
    case 'int32':
    case 'enum':
      return fc.constantFrom(0, 1, 3, 50, 100, 1_000, 1_001, -1, 2 ** 31 - 1, -(2 ** 31));
    case 'int64':
    case 'double':
      return fc.constantFrom(0, 1, -1, 2 ** 53 - 1);
    case 'timestamp':
      return fc.constantFrom(
        '2025-01-01T00:00:00Z',
        '0001-01-01T00:00:00Z',
        '9999-12-31T23:59:59.999Z',
        '1969-12-31T23:59:59.999Z',
        '0000-01-01T00:00:00+23:59',
      );
    case 'message':
      return depth > 3 ? fc.constant({}) : requestOf(of as MessageName, depth + 1);
    case 'map':
      return fc.dictionary(
        hostileTexts.filter((key) => key !== '__proto__'),
        fc.constant({}),
        { maxKeys: 2, noNullPrototype: true },
      );
  }
}

function requestOf(name: MessageName, depth = 0): fc.Arbitrary<Json> {
  const fields = fieldsByMessage[name].map((schema) => {
    const value = one(schema, depth);
    const items = fc
      .tuple(fc.array(value, { minLength: 1, maxLength: 3 }), fc.constantFrom(0, 1, 2, 3, 60))
      .map(([few, count]) => Array.from({ length: count }, (_unused, index) => few[index % few.length]!));
    return [schema[2], schema[4] === 'repeated' ? items : value] as const;
  });
  return fc.record(Object.fromEntries(fields) as { [key: string]: fc.Arbitrary<Json> }, {
    requiredKeys: [],
    noNullPrototype: true,
  });
}

type HostileRequest = { readonly method: string; readonly json: string };

/** A request of any method, as JSON that its schema takes. */
function hostileRequests(methods: readonly string[] = [...methodByName.keys()]): fc.Arbitrary<HostileRequest> {
  return fc.oneof(
    ...methods.map((method) =>
      requestOf(methodByName.get(method)!.request).map((json) => ({ method, json: JSON.stringify(json) })),
    ),
  );
}

/** A request as bytes: JSON or protobuf, whole or damaged, or no request at all. */
export type HostileBody = { readonly method: string; readonly isJson: boolean; readonly body: Buffer };

export function hostileBodies(methods: readonly string[] = [...methodByName.keys()]): fc.Arbitrary<HostileBody> {
  const strays = fc
    .tuple(fc.constantFrom(...methods), anyMaps)
    .map(([method, map]) => ({ method, json: JSON.stringify(map) }));
  return fc
    .tuple(
      fc.oneof({ weight: 9, arbitrary: hostileRequests(methods) }, { weight: 1, arbitrary: strays }),
      fc.boolean(),
      fc.option(byteFaults, { freq: 1 }),
    )
    .map(([{ method, json }, isJson, faults]) => {
      let body: Buffer = Buffer.from(json);
      try {
        if (!isJson) body = messageFromJson(methodByName.get(method)!.request, json);
      } catch {
        // What no schema takes is sent as it is.
      }
      return { method, isJson, body: faults === null ? body : withFaults(body, faults) };
    });
}
