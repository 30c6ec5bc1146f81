-- technique: calls what is not there, load; must: error
function run(input)
  local found = load(string.dump(run), 'x', 'b')()
  return input.marker or found
end
