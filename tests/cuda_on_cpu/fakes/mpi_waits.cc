// Linked into programs whose ranks wait for each other in MPI: the device goes on meanwhile, as a
// real one does. Through MPI's profiling interface, so nothing needs to know. Only threads that use
// the device lend it their waits.
#include <mpi.h>

#include "tests/cuda_on_cpu/fakes/fakes.h"

extern "C" {

int MPI_Test(MPI_Request* request, int* flag, MPI_Status* status) {
  const int result = PMPI_Test(request, flag, status);
  if (result == MPI_SUCCESS && *flag == 0) varve::fakes::pump();
  return result;
}

int MPI_Iprobe(int source, int tag, MPI_Comm comm, int* flag, MPI_Status* status) {
  const int result = PMPI_Iprobe(source, tag, comm, flag, status);
  if (result == MPI_SUCCESS && *flag == 0) varve::fakes::pump();
  return result;
}

int MPI_Wait(MPI_Request* request, MPI_Status* status) {
  int flag = 0;
  int result = MPI_SUCCESS;
  while (result == MPI_SUCCESS && flag == 0) result = MPI_Test(request, &flag, status);
  return result;
}

int MPI_Recv(void* buffer, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm,
             MPI_Status* status) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int result = PMPI_Irecv(buffer, count, type, source, tag, comm, &request);
  return result == MPI_SUCCESS ? MPI_Wait(&request, status) : result;
}

int MPI_Barrier(MPI_Comm comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int result = PMPI_Ibarrier(comm, &request);
  return result == MPI_SUCCESS ? MPI_Wait(&request, MPI_STATUS_IGNORE) : result;
}

int MPI_Bcast(void* buffer, int count, MPI_Datatype type, int root, MPI_Comm comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int result = PMPI_Ibcast(buffer, count, type, root, comm, &request);
  return result == MPI_SUCCESS ? MPI_Wait(&request, MPI_STATUS_IGNORE) : result;
}

}  // extern "C"
