-- deterministic: nan as text, of both signs
function run(input)
  local n = 0 / 0
  return {tostring(n), tostring(-n), ('%f %g'):format(n, -n), table.concat({n, -n}, ' '), string.rep(-n, 2)}
end
