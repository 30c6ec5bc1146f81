-- technique: calls what is not there, load; must: error
function run(input)
  local found = load('return io')()
  return input.marker or found
end
