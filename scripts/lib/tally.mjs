// Counts test points in the TAP of one file.

const POINT = /^( *)(not )?ok\b(.*)$/;
const SUBTEST = /^( *)# Subtest(: (.*)|)$/;
/** A whole file that was left out. */
const NOTHING_PLANNED = /^1\.\.0 *# *(?:SKIP *)?(.*)$/;
const INDENT = 4;

/**
 * A point that closes a subtest stands for the points in it, so it is counted only when it failed and none in it did:
 * a file that ended early, or whose plan is wrong. `skips` holds each skipped point's words, `failures` those of each
 * failed one with the subtests it stands in and its diagnostics.
 */
export function tally(text) {
  const counts = { passed: 0, failed: 0, skips: [], failures: [] };
  // The subtests that are open, outermost first.
  const open = [];
  let diagnosed;
  for (const line of text.split('\n')) {
    if (diagnosed !== undefined && line.trim() === '---') {
      diagnosed.open = true;
      continue;
    }
    if (diagnosed?.open === true) {
      if (line.trim() === '...') diagnosed = undefined;
      else diagnosed.failure.push(line);
      continue;
    }
    const subtest = SUBTEST.exec(line);
    if (subtest !== null) {
      open.push({ depth: depthOf(subtest[1]), name: subtest[3], points: 0, failed: 0 });
      continue;
    }
    const leftOut = NOTHING_PLANNED.exec(line);
    if (leftOut !== null) counts.skips.push(leftOut[1]);
    const point = POINT.exec(line);
    if (point === null) continue;
    const known = counts.failures.length;
    takePoint(counts, open, point);
    const failure = counts.failures[known];
    diagnosed = failure === undefined ? undefined : { failure, open: false };
  }
  return counts;
}

/** `# Subtest` stands at the depth of the point that will close it. */
function depthOf(indent) {
  return indent.length / INDENT;
}

function takePoint(counts, open, [, indent, not, words]) {
  const depth = depthOf(indent);
  const failed = not !== undefined && !/# TODO\b/i.test(words);
  const last = open.at(-1);
  if (last !== undefined && last.depth === depth) {
    open.pop();
    const explained = failed ? last.failed > 0 : last.points > 0;
    if (explained) {
      const parent = open.at(-1);
      if (parent !== undefined) {
        parent.points += last.points;
        parent.failed += last.failed;
      }
      return;
    }
  }
  const parent = open.at(-1);
  if (parent !== undefined) parent.points += 1;
  if (failed) {
    counts.failed += 1;
    counts.failures.push([[...open.map((subtest) => subtest.name), nameOf(words)].join(' > ')]);
    if (parent !== undefined) parent.failed += 1;
  } else if (/# (SKIP|TODO)\b/i.test(words)) {
    counts.skips.push(nameOf(words));
  } else {
    counts.passed += 1;
  }
}

function nameOf(words) {
  return words.replace(/^ *\d+ *-? */, '').trim();
}
