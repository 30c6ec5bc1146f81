-- technique: returns a table that contains itself; must: error
function run(input)
  local t = {}
  t.t = t
  return t
end
