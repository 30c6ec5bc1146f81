-- technique: calls what is not there, loadfile; must: error
function run(input)
  local found = loadfile(input.secret_file)()
  return input.marker or found
end
