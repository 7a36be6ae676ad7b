// The little linear algebra that affines need; matrices are arrays of rows.

/** Of the upper left 3×3. */
export function determinant(m) {
  return m[0][0] * cofactor(m, 0, 0) + m[0][1] * cofactor(m, 0, 1) + m[0][2] * cofactor(m, 0, 2);
}

function cofactor(m, row, column) {
  const [a, b] = [(row + 1) % 3, (row + 2) % 3];
  const [c, d] = [(column + 1) % 3, (column + 2) % 3];
  return m[a][c] * m[b][d] - m[a][d] * m[b][c];
}

/** The rotation nearest to a 3×3: Newton's iteration of the polar decomposition (Higham 1986). */
function rotation(m) {
  let turn = m;
  for (let i = 0; i < 60; i++) {
    const size = determinant(turn);
    const next = turn.map((row, r) => row.map((value, c) => (value + cofactor(turn, r, c) / size) / 2));
    const moved = Math.max(...next.flat().map((value, k) => Math.abs(value - turn[(k / 3) | 0][k % 3])));
    turn = next;
    if (moved < 1e-15) break;
  }
  return turn;
}

/** For each voxel axis the axis of space (0 R, 1 A, 2 S) that it runs along, and its sign: nibabel's io_orientation. */
export function orientation(affine) {
  const columns = [0, 1, 2].map((c) => Math.sqrt(affine[0][c] ** 2 + affine[1][c] ** 2 + affine[2][c] ** 2));
  const turn = rotation([0, 1, 2].map((r) => [0, 1, 2].map((c) => affine[r][c] / columns[c])));
  // The voxel axis that lies straightest along an axis of space chooses first.
  const strength = [0, 1, 2].map((c) => Math.max(...turn.map((row) => row[c] ** 2)));
  const way = [];
  const free = new Set([0, 1, 2]);
  for (const c of [0, 1, 2].sort((a, b) => strength[b] - strength[a])) {
    const best = [...free].reduce((r, other) => (Math.abs(turn[other][c]) > Math.abs(turn[r][c]) ? other : r));
    free.delete(best);
    way[c] = [best, turn[best][c] < 0 ? -1 : 1];
  }
  return way;
}
