/* Runs a SavedModel in TensorFlow's C++ runtime, as TF Serving does: without Python, and
 * with XLA compilation disabled.
 *
 *   run_saved_model FOLDER < JOB > OUTPUTS
 *
 * A JOB is a list of lines. Floats and bytes stand in files, in the machine's own order.
 *   float OPERATION OUTPUT FILE RANK SIZE...   feeds a float tensor
 *   string OPERATION OUTPUT FILE               feeds one string, a tensor of shape [1]
 *   fetch OPERATION OUTPUT                     writes a tensor's raw values to OUTPUTS
 *   run                                        runs the graph; feeds are then forgotten
 * A run that fails writes no values, but a line to standard error, "CODE: message"; the
 * runs after it are done all the same, and the exit code is 1.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

/* TF Serving calls it in its main function; there is no C function for it. */
void disable_xla(void) __asm__("_ZN10tensorflow21DisableXlaCompilationEv");

#define MOST 16

static void require(TF_Status *status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%d: %s\n", TF_GetCode(status), TF_Message(status));
  exit(1);
}

static void fail(const char *what, const char *which) {
  fprintf(stderr, "%s: %s\n", what, which);
  exit(2);
}

static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) fail("cannot be opened", path);
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  void *data = malloc(*size + 1);
  if (fread(data, 1, *size, file) != *size) fail("cannot be read", path);
  fclose(file);
  return data;
}

static TF_Output find(TF_Graph *graph, const char *name, int index) {
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (!output.oper) fail("no such operation", name);
  return output;
}

int main(int count, char **arguments) {
  if (count != 2) fail("expected a folder", arguments[0]);
  disable_xla();
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(
      options, NULL, arguments[1], tags, 1, graph, NULL, status);
  require(status);

  TF_Output feeds[MOST], fetches[MOST];
  TF_Tensor *fed[MOST], *fetched[MOST];
  int feed_count = 0, fetch_count = 0, failed = 0;
  char command[16], name[256], path[1024];
  int index;
  while (scanf("%15s", command) == 1) {
    if (strcmp(command, "run") == 0) {
      TF_SessionRun(session, NULL, feeds, fed, feed_count, fetches, fetched,
                    fetch_count, NULL, 0, NULL, status);
      if (TF_GetCode(status) != TF_OK) {
        fprintf(stderr, "%d: %s\n", TF_GetCode(status), TF_Message(status));
        failed = 1;
        fetch_count = 0;
      }
      for (int i = 0; i < fetch_count; i++) {
        fwrite(TF_TensorData(fetched[i]), 1, TF_TensorByteSize(fetched[i]), stdout);
        TF_DeleteTensor(fetched[i]);
      }
      for (int i = 0; i < feed_count; i++) TF_DeleteTensor(fed[i]);
      feed_count = fetch_count = 0;
      continue;
    }
    if (feed_count == MOST || fetch_count == MOST) fail("too many", command);
    if (scanf("%255s %d", name, &index) != 2) fail("incomplete line", command);
    if (strcmp(command, "fetch") == 0) {
      fetches[fetch_count++] = find(graph, name, index);
      continue;
    }
    size_t size;
    if (scanf("%1023s", path) != 1) fail("incomplete line", command);
    void *data = read_file(path, &size);
    TF_Tensor *tensor;
    if (strcmp(command, "string") == 0) {
      int64_t one = 1;
      tensor = TF_AllocateTensor(TF_STRING, &one, 1, sizeof(TF_TString));
      TF_StringInit(TF_TensorData(tensor));
      TF_StringCopy(TF_TensorData(tensor), data, size);
    } else {
      int rank;
      int64_t sizes[MOST];
      if (scanf("%d", &rank) != 1 || rank > MOST) fail("bad rank", path);
      for (int i = 0; i < rank; i++) {
        long long side;
        if (scanf("%lld", &side) != 1) fail("bad size", path);
        sizes[i] = side;
      }
      tensor = TF_AllocateTensor(TF_FLOAT, sizes, rank, size);
      memcpy(TF_TensorData(tensor), data, size);
    }
    free(data);
    feeds[feed_count] = find(graph, name, index);
    fed[feed_count++] = tensor;
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return failed;
}
