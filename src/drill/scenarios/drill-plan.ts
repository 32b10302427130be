/** The order in which chosen scenarios run, and what must happen between them. Pure. */
import { type FaultName, isFault, type ScenarioName } from '../report/verdict.js';

export type DrillStep =
  | { readonly step: 'measure'; readonly name: ScenarioName; readonly after?: FaultName }
  /** The failed director comes back without being looked at. */
  | { readonly step: 'recover'; readonly after: FaultName }
  /** A master ends without being looked at. */
  | { readonly step: 'strike'; readonly fault: FaultName };

/** Every fault is followed by the return of the failed director, measured when `return` was chosen. */
export function planDrill(chosen: readonly ScenarioName[]): DrillStep[] {
  const withReturn = chosen.includes('return');
  const steps: DrillStep[] = [];
  for (const name of chosen) {
    if (isFault(name)) {
      steps.push(
        { step: 'measure', name },
        withReturn ? { step: 'measure', name: 'return', after: name } : { step: 'recover', after: name },
      );
    } else if (name !== 'return') {
      // These leave the pair complete.
      steps.push({ step: 'measure', name });
    } else if (!chosen.some(isFault)) {
      steps.push({ step: 'strike', fault: 'planned' }, { step: 'measure', name, after: 'planned' });
    }
  }
  // Nobody is left for whom the last one would have to come back.
  return steps.at(-1)?.step === 'recover' ? steps.slice(0, -1) : steps;
}
