/** Labels by what they are about, and all labelers. */
import { asBuffer, copyBytes, FieldScanner, fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { encodeLabelersPosition, type LabelersPosition, openLabelersPage } from '../../wire/labelers-page.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { askByItem, type ByItemMethod } from '../plan/by-item.ts';
import { emptyAnswer, type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';
import { itemsPerPart } from '../plan/weight.ts';

/** Of what nodes answer: the labels of one subject. */
const subjectField = 1;

/** What is neither a DID nor an AT-URI has no labels, as on the official plane. */
const labels: ByItemMethod = {
  method: 'GetLabels',
  call: nodeCalls.labels,
  items: { ...fieldOf('GetLabelsRequest', 'subjects'), shape: 'subject', malformed: 'missing' },
  answers: [
    { number: subjectField, form: 'lengthDelimited', missing: lengthDelimitedField(subjectField, emptyAnswer) },
  ],
};

/** Returns the labels of all subjects, one after the other. */
function withoutSubjects(answer: Buffer): Uint8Array {
  const scanner = new FieldScanner(answer, 'GetLabels', 0, answer.length, 'Internal');
  const labelsOnly = Buffer.allocUnsafe(answer.length);
  let length = 0;
  while (scanner.nextOf(subjectField)) length = copyBytes(labelsOnly, length, answer, scanner.start, scanner.end);
  return labelsOnly.subarray(0, length);
}

/** Pages of one node, of up to `labelersPageMax` each: anyone can declare to be a labeler. */
const pagesOfNodeMax = 20;

async function labelersOfNode(node: number, context: PlanContext): Promise<Buffer> {
  const { fanOut, deadlineMs } = context;
  const parts: Buffer[] = [];
  let from: LabelersPosition | null = { slot: 0, owner: 0 };
  for (let pages = 0; from !== null && pages < pagesOfNodeMax; pages++) {
    context.admitParts(itemsPerPart);
    const position = encodeLabelersPosition(from);
    const ask = (): Promise<Uint8Array> | Uint8Array => fanOut.ask(node, nodeCalls.labelers, position, deadlineMs);
    const answer: Uint8Array = await context.inTurn(itemsPerPart, ask);
    const page = openLabelersPage(answer);
    parts.push(page.answer);
    from = page.next;
  }
  return Buffer.concat(parts);
}

/** URIs and records are one list each, so answers of several nodes are one after the other. */
async function allLabelers(context: PlanContext): Promise<Uint8Array> {
  return Buffer.concat(await Promise.all(context.fanOut.primaries.map((node) => labelersOfNode(node, context))));
}

export const labelPlans: readonly Plan[] = [
  {
    method: 'GetLabels',
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: async (request, context) => withoutSubjects(asBuffer(await askByItem(request, labels, context))),
  },
  {
    method: 'GetAllLabelers',
    timeoutMs: planDefaults.timeoutMs,
    isShared: true,
    run: (_request, context) => allLabelers(context),
  },
];
