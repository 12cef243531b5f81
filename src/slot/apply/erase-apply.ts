/** Erases an actor's private data of one kind, in steps: what was written up to the request. */
import { namespaceOfKind } from '../../atproto/private-namespace.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { privatePrefix, readPrivateItem, readPrivateRow } from '../table/private-data.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { removePrivateItem } from './private-data-apply.ts';
import { rowsAfter } from './rows-after.ts';

type Row = { readonly key: Buffer; readonly value: Buffer };

/** Removes one row unless it is younger than the request. */
function eraseRow(context: ApplyContext, owner: number, work: LongWorkOf<'erase'>, { key, value }: Row): void {
  const item = readPrivateItem(key);
  const row = item === undefined ? undefined : readPrivateRow(value);
  if (item === undefined || row === undefined || row.createdMs > work.originMs) return;
  removePrivateItem(context, { did: work.did, owner, item }, row);
}

/** Does a step. Returns the rest, or undefined at its end. */
export function eraseStep(context: ApplyContext, work: LongWorkOf<'erase'>): LongWorkOf<'erase'> | undefined {
  const { state } = context;
  const owner = state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  const prefix = privatePrefix(owner, namespaceOfKind[work.kind] ?? null);
  let { after } = work;
  for (const row of rowsAfter(state, prefix, after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.record;
    after = row.key;
    eraseRow(context, owner, work, row);
  }
  return undefined;
}
