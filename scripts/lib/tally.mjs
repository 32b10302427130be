// Counts test points in TAP as tap(1) writes it with --output-file.

const POINT = /^( *)(not )?ok\b(.*)$/;
const SUBTEST = /^( *)# Subtest(: |$)/;
const INDENT = 4;

/**
 * A point that closes a subtest stands for the points in it, so it is counted only when it failed and none in it did:
 * a file that ended early, or whose plan is wrong. `skips` holds each skipped point's words.
 */
export function tally(text) {
  const counts = { passed: 0, failed: 0, skips: [] };
  // failures[d]: whether a point was counted as failed below a subtest of depth d that is still open.
  const open = [];
  for (const line of text.split('\n')) {
    const subtest = SUBTEST.exec(line);
    if (subtest !== null) {
      open.push({ depth: depthOf(subtest[1], line), points: 0, failed: 0 });
      continue;
    }
    const point = POINT.exec(line);
    if (point !== null) takePoint(counts, open, point);
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
    if (parent !== undefined) parent.failed += 1;
  } else if (/# (SKIP|TODO)\b/i.test(words)) {
    counts.skips.push(words.replace(/^ *\d+ *-? */, '').trim());
  } else {
    counts.passed += 1;
  }
}
