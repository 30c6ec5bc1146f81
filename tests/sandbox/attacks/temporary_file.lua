-- technique: calls what is not there, os.tmpname; must: error
function run(input)
  local found = os.tmpname()
  return input.marker or found
end
