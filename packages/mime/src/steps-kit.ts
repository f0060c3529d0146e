import { Session } from "node:inspector";
import { Pattern } from "./pattern-steps.ts";

/**
 * Counts the steps that code takes, so that a test can say how they grow without looking at a clock: every run of a block
 * of our own sources (as the engine's precise coverage tells it), every try of a regular expression, and every octet or
 * character that a built-in method looks at.
 *
 * Assumes: what is counted was imported after {@link StepCounter} was made, else its blocks are not told.
 */
export class StepCounter {
  readonly #session = new Session();
  readonly #isCounted: (url: string) => boolean;

  /** `isCounted` says of a source's address whether its blocks count. */
  constructor(isCounted: (url: string) => boolean) {
    this.#isCounted = isCounted;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** How many steps `run` takes, and what of the counted sources ran since the last count. Throws what it throws. */
  count(run: () => void): number {
    const builtIns = countBuiltIns();
    try {
      run();
    } finally {
      builtIns.restore();
    }
    return this.#blocks() + builtIns.steps();
  }

  dispose(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** Blocks run since the last call. */
  #blocks(): number {
    const { result } = this.#post("Profiler.takePreciseCoverage") as Coverage;
    let sum = 0;
    for (const { url, functions } of result)
      if (this.#isCounted(url)) for (const { ranges } of functions) for (const { count } of ranges) sum += count;
    return sum;
  }

  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    // A session within its own thread answers before the call returns.
    this.#session.post(method, parameters, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

type Method = (this: never, ...parameters: never[]) => unknown;
/** Octets or characters that a call of a built-in method looks at. `from` is the expression's beginning. */
type Cost = (
  subject: { readonly length: number },
  parameters: readonly unknown[],
  result: unknown,
  from: number,
) => number;

const whole: Cost = ({ length }) => length;
const upTo: Cost = ({ length }, [, from = 0], found) =>
  (typeof found === "number" && found >= 0 ? found + 1 : length) - Math.min(Number(from), length);
const ofResult: Cost = (_subject, _parameters, result) => (result as { readonly length: number }).length;
const ofFirst: Cost = (_subject, [first]) => (first as { readonly length?: number } | undefined)?.length ?? 0;

const patterns = new Map<string, Pattern>();
const ofExpression: Cost = (subject, [text], result, from) => {
  const { source, flags } = subject as unknown as RegExp;
  const key = `/${source}/${flags}`;
  let pattern = patterns.get(key);
  if (!pattern) {
    pattern = new Pattern(source, flags);
    patterns.set(key, pattern);
  }
  return pattern.steps(String(text), from, result !== null);
};

const COSTS: readonly (readonly [object, Readonly<Record<string, Cost>>])[] = [
  [
    String.prototype,
    {
      indexOf: upTo,
      lastIndexOf: whole,
      includes: whole,
      startsWith: ofFirst,
      endsWith: whole,
      trim: whole,
      trimStart: whole,
      trimEnd: whole,
      toLowerCase: whole,
      toUpperCase: whole,
      replaceAll: whole,
      split: whole,
      normalize: whole,
      isWellFormed: whole,
      toWellFormed: whole,
      repeat: ofResult,
    },
  ],
  [
    Array.prototype,
    {
      indexOf: upTo,
      includes: whole,
      slice: ofResult,
      splice: whole,
      shift: whole,
      unshift: whole,
      concat: ofResult,
      join: whole,
      sort: whole,
    },
  ],
  [
    Object.getPrototypeOf(Uint8Array.prototype) as object,
    { indexOf: upTo, set: ofFirst, slice: ofResult, fill: whole },
  ],
  [RegExp.prototype, { exec: ofExpression }],
  [TextDecoder.prototype, { decode: ofFirst }],
  [TextEncoder.prototype, { encode: ofFirst }],
];

/** From now on, until `restore`, built-in methods count what they look at. */
function countBuiltIns(): { readonly steps: () => number; readonly restore: () => void } {
  let steps = 0;
  /** The counting is not itself counted. */
  let counts = true;
  const undo: (() => void)[] = [];
  const replace = (owner: object, name: string, cost: Cost): void => {
    const native = Reflect.get(owner, name) as Method;
    const counted = function (this: never, ...parameters: never[]): unknown {
      const from = counts && (this as unknown) instanceof RegExp ? startOf(this) : 0;
      const result = native.apply(this, parameters);
      if (!counts) return result;
      counts = false;
      steps += cost(this, parameters, result, from);
      counts = true;
      return result;
    };
    Object.defineProperty(owner, name, { value: counted, writable: true, configurable: true });
    undo.push(() => Object.defineProperty(owner, name, { value: native, writable: true, configurable: true }));
  };
  for (const [owner, costs] of COSTS) for (const [name, cost] of Object.entries(costs)) replace(owner, name, cost);
  return { steps: () => steps, restore: () => undo.forEach((one) => void one()) };
}

function startOf({ global, sticky, lastIndex }: RegExp): number {
  return global || sticky ? lastIndex : 0;
}
